// sRGB to linear light and back by polynomials (IEC 61966-2-1 within 0.003): powers would cost more than all the rest.
vec3 linear(vec3 code) {
    return code * (code * (code * 0.305306011 + 0.682171111) + 0.012522878);
}

// With a soft shoulder above KNEE in place of clipping.
vec3 show(vec3 light) {
    vec3 over = max(light - KNEE, 0.0) / (1.0 - KNEE);
    vec3 held = min(light, KNEE) + (1.0 - KNEE) * over / (1.0 + over);
    vec3 root2 = sqrt(held), root4 = sqrt(root2), root8 = sqrt(root4);
    return 0.662002687 * root2 + 0.684122060 * root4 - 0.323583601 * root8 - 0.0225411470 * held;
}
