"""AWS IoT Greengrass V2: presets, platforms and recipes. Rules only; no IO."""
