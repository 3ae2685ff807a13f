// What changes with every frame, in one buffer; filled by gl_frame.frame_block in this order.
layout(std140) uniform Frame {
    mat4 clip;             // world to clip space, upside down
    mat4 pixel_to_ray;     // world direction, camera z = 1, of the homogeneous pixel (u, v, 1, 0)
    mat4 to_camera;        // [R | t]: world to camera axes
    vec4 eye;
    vec4 lamp;             // colour of the directional light
    vec4 plane_ambient;    // light of the surroundings that arrives on a level plane, and
    vec4 plane_light;      // that of the lamp
    vec4 ground_turn;      // rows of the map from (x, z) to texture coordinates, and
    vec4 ground_origin;    // what is added to it
    vec4 ground_place;     // centre x, z
    vec4 ground_side;      // half sides of the rectangle, (x, z) of each
    vec4 ground_look;      // height; unused; texels per pixel at z = 1; unused
    vec4 occlusion_region; // origin x, z; 1 / size
};
