in vec3 diffuse;
in float glint;
in vec2 uv;
in float depth;
flat in uint part;

uniform sampler2D albedo;
uniform float instance;

layout(location = 0) out vec4 out_colour;
layout(location = 1) out float out_depth;
layout(location = 2) out uvec2 out_label;
#ifdef NORMALS
in vec3 normal;
layout(location = 3) out ivec4 out_normal;
#endif

void main() {
    out_colour = vec4(show(linear(texture(albedo, uv).rgb) * diffuse + lamp.rgb * glint), 1.0);
    out_depth = depth;
    out_label = uvec2(part, uint(instance));
#ifdef NORMALS
    out_normal = ivec4(round(127.0 * normalize(normal)), 0);
#endif
}
