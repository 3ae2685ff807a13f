// The ground's rectangle, or as much of an endless plane as can be seen; drawn last, so that hidden parts cost nothing.

void main() {
    vec2 corner = vec2((gl_VertexID & 1) * 2 - 1, (gl_VertexID >> 1) * 2 - 1);
    vec2 place = ground_place.xy + corner.x * ground_side.xy + corner.y * ground_side.zw;
    gl_Position = clip * vec4(place.x, ground_look.x, place.y, 1.0);
}
