// What changes with every frame, in one buffer; filled by opengl.frame_block in this order.
layout(std140) uniform Frame {
    mat4 clip;             // world to clip space, upside down
    mat4 pixel_to_ray;     // world direction, camera z = 1, of the homogeneous pixel (u, v, 1, 0)
    vec4 camera_z;         // third row of [R | t]
    vec4 eye;
    vec4 light_direction;
    vec4 light_colour;
    vec4 sky;
    vec4 floor_light;
    vec4 plane_light;      // directional light that arrives on a horizontal plane
    vec4 ground_turn;      // rows of the world-to-texture rotation of (x, z)
    vec4 ground_place;     // centre x, z; half size x, z
    vec4 ground_look;      // height; repetitions per metre; texels per pixel at z = 1; 1 if there is a ground
    vec4 occlusion_region; // origin x, z; 1 / size
    vec4 size;             // of the picture, pixels
};
