"""Stand-in for the Cloudflare resource plugin, for machines on which the official one cannot be installed."""

PLUGIN_VERSION = "6.17.0"  # the version that pulumi-cloudflare asks for and whose traffic was recorded
