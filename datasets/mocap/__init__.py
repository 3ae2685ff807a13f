"""Motion capture: BVH, ASF/AMC and AMASS in, SMPL-family pose sequences out."""
