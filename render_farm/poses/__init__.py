"""Where poses come from: drawn by posture within joint limits, or read from files; and how bodies come to rest."""
