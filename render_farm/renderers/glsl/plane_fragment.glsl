// Ground where its plane is hit, else the backdrop.
in vec3 ray;

uniform sampler2D backdrop;
uniform sampler2D ground;
uniform sampler2D occlusion;  // share of ambient and of directional light

layout(location = 0) out vec4 out_colour;
layout(location = 1) out float out_depth;
layout(location = 2) out uvec2 out_label;

void main() {
    out_label = uvec2(0u);
    float z = (ground_look.x - eye.y) / ray.y;
    vec2 place = eye.xz + z * ray.xz;
    vec2 offset = place - ground_place.xy;
    vec2 spot = vec2(dot(ground_turn.xy, offset), dot(ground_turn.zw, offset));
    if (ground_look.w > 0.0 && z > NEAR && z < FAR && all(lessThanEqual(abs(spot), ground_place.zw))) {
        float slant = length(ray) / max(abs(ray.y), 1e-4);
        float lod = log2(max(ground_look.z * z * sqrt(slant), 1e-6));
        vec2 arrives = texture(occlusion, (place - occlusion_region.xy) * occlusion_region.zw).rg;
        vec3 light = sky.rgb * arrives.x + plane_light.rgb * arrives.y;
        out_colour = vec4(show(linear(textureLod(ground, spot * ground_look.y, lod).rgb) * light), 1.0);
        out_depth = z;
        gl_FragDepth = FAR / (FAR - NEAR) * (1.0 - NEAR / z);
    } else {
        out_colour = vec4(texelFetch(backdrop, ivec2(gl_FragCoord.xy), 0).rgb, 1.0);
        out_depth = uintBitsToFloat(0x7f800000u);  // infinity
        gl_FragDepth = 1.0;
    }
}
