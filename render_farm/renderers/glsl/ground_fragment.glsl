uniform sampler2D ground;
uniform sampler2D occlusion;  // share of ambient and of directional light

layout(location = 0) out vec4 out_colour;
layout(location = 1) out float out_depth;
layout(location = 2) out uvec2 out_label;
#ifdef NORMALS
layout(location = 3) out ivec4 out_normal;
#endif

// log2 within 0.05: a float's bits, read as an integer, are nearly its logarithm. Half of what is between two levels of
// detail is then taken from one of them, which is one look-up instead of two, and no seam where they change.
float level(float squared2) {
    float exact = 0.25 * (float(floatBitsToInt(squared2)) * 1.1920929e-7 - 126.943);
    return floor(exact) + clamp(2.0 * fract(exact) - 0.5, 0.0, 1.0);
}

void main() {
    // The place follows from the pixel's ray, which is more exact than what a polygon this large interpolates.
    vec3 ray = (pixel_to_ray * vec4(gl_FragCoord.xy - 0.5, 1.0, 0.0)).xyz;
    float rise = 1.0 / ray.y;
    float z = (ground_look.x - eye.y) * rise;
    vec2 place = eye.xz + z * ray.xz;
    vec2 spot = vec2(dot(ground_turn.xy, place), dot(ground_turn.zw, place)) + ground_origin.xy;
    // Texels in a pixel: its width at z, times the root of how aslant the ray meets the plane; to the fourth power.
    float wide = ground_look.z * z;
    wide *= wide;
    float lod = level(wide * wide * dot(ray, ray) * rise * rise);
    vec2 arrives = texture(occlusion, (place - occlusion_region.xy) * occlusion_region.zw).rg;
    vec3 light = plane_ambient.rgb * arrives.x + plane_light.rgb * arrives.y;
    out_colour = vec4(show(linear(textureLod(ground, spot, lod).rgb) * light), 1.0);
    out_depth = z;
    out_label = uvec2(0u);
#ifdef NORMALS
    out_normal = ivec4(round(127.0 * to_camera[1].xyz * sign(-ray.y)), 0);
#endif
}
