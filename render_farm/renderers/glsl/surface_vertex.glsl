// Surfaces: world to clip space, and lighting. It is done at the vertices: at the sizes drawn here a triangle covers about
// one pixel, where a fragment shader runs many times a pixel and per-pixel lighting would look the same.
in vec3 in_position;
in vec3 in_normal;
in vec2 in_share;  // of directional and of ambient light
in vec2 in_uv;
in uint in_part;

uniform vec4 look;  // specular, wrap, 1 if seen from both sides, instance

out vec3 diffuse;
out vec3 glint;
out vec2 uv;
out float depth;
flat out uint part;

void main() {
    vec3 to_eye = normalize(eye.xyz - in_position);
    vec3 n = in_normal * (look.z > 0.0 && dot(in_normal, to_eye) < 0.0 ? -1.0 : 1.0);
    float cosine = dot(n, light_direction.xyz);
    vec3 reach = look.y * WRAP_TINT;
    vec3 direct = max((cosine + reach) / (1.0 + reach), 0.0) * in_share.x;
    diffuse = light_colour.rgb * direct + mix(floor_light.rgb, sky.rgb, 0.5 + 0.5 * n.y) * in_share.y;
    vec3 middle = normalize(to_eye + light_direction.xyz);
    float shine = pow(max(dot(n, middle), 1e-4), GLOSS) * clamp(4.0 * cosine, 0.0, 1.0);
    glint = light_colour.rgb * (look.x * in_share.x * shine);
    uv = in_uv;
    part = in_part;
    depth = dot(camera_z, vec4(in_position, 1.0));
    gl_Position = clip * vec4(in_position, 1.0);
}
