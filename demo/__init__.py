"""The story of a switch, told on the emulator with the real engine: `make demo`."""
