"""Close-up frames of hands: gestures and grasps, one hand or both, with forearm, sleeve and things in the way."""
