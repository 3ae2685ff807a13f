// One triangle over the picture; the ray through each pixel is linear in the pixel, so it is interpolated.
out vec3 ray;

void main() {
    vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
    ray = (pixel_to_ray * vec4((corner * 0.5 + 0.5) * size.xy - 0.5, 1.0, 0.0)).xyz;
    gl_Position = vec4(corner, 0.0, 1.0);
}
