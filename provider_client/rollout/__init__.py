"""Moving traffic between providers: forward when proven, back at once."""
