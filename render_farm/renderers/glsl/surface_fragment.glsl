in vec3 diffuse;
in vec3 glint;
in vec2 uv;
in float depth;
flat in uint part;

uniform sampler2D albedo;
uniform vec4 look;

layout(location = 0) out vec4 out_colour;
layout(location = 1) out float out_depth;
layout(location = 2) out uvec2 out_label;

void main() {
    out_colour = vec4(show(linear(texture(albedo, uv).rgb) * diffuse + glint), 1.0);
    out_depth = depth;
    out_label = uvec2(part, uint(look.w));
}
