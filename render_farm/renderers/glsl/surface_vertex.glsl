// Surfaces: world to clip space. Their light is computed at the vertices, before (vertex_kernels.light): at the sizes drawn
// here a triangle covers about one pixel, where a fragment shader runs many times a pixel.
in vec3 in_position;
in vec3 in_diffuse;
in float in_glint;
in vec2 in_uv;
in uint in_part;

out vec3 diffuse;
out float glint;
out vec2 uv;
out float depth;
flat out uint part;
#ifdef NORMALS
in vec3 in_normal;
out vec3 normal;
#endif

void main() {
    diffuse = in_diffuse;
    glint = in_glint;
    uv = in_uv;
    part = in_part;
#ifdef NORMALS
    normal = mat3(to_camera) * in_normal;
#endif
    depth = (to_camera * vec4(in_position, 1.0)).z;
    gl_Position = clip * vec4(in_position, 1.0);
}
