uniform sampler2D ground;
uniform sampler2D occlusion;  // share of ambient and of directional light

layout(location = 0) out vec4 out_colour;
layout(location = 1) out float out_depth;
layout(location = 2) out uvec2 out_label;
#ifdef NORMALS
layout(location = 3) out ivec4 out_normal;
#endif

void main() {
    // The place follows from the pixel's ray, which is more exact than what a polygon this large interpolates.
    vec3 ray = (pixel_to_ray * vec4(gl_FragCoord.xy - 0.5, 1.0, 0.0)).xyz;
    float z = (ground_look.x - eye.y) / ray.y;
    vec2 place = eye.xz + z * ray.xz;
    vec2 offset = place - ground_place.xy;
    vec2 spot = vec2(dot(ground_turn.xy, offset), dot(ground_turn.zw, offset));
    float slant = length(ray) / max(abs(ray.y), 1e-4);
    float lod = log2(max(ground_look.z * z * sqrt(slant), 1e-6));
    vec2 arrives = texture(occlusion, (place - occlusion_region.xy) * occlusion_region.zw).rg;
    vec3 light = plane_ambient.rgb * arrives.x + plane_light.rgb * arrives.y;
    out_colour = vec4(show(linear(textureLod(ground, spot * ground_look.y, lod).rgb) * light), 1.0);
    out_depth = z;
    out_label = uvec2(0u);
#ifdef NORMALS
    out_normal = ivec4(round(127.0 * to_camera[1].xyz * sign(-ray.y)), 0);
#endif
}
