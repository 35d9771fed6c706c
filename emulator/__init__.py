"""Stands in for Cloudflare, RunPod, Scenario and ComfyUI on one machine; imports nothing of the product."""
