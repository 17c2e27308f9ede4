"""Measurements. They print figures with the hardware and never fail on a slow machine."""
