#!/bin/sh
# Install bubblewrap where that needs nothing but saying so: as root, with apt-get. Elsewhere, and
# when it fails, this says so and is no error: the tests that need bubblewrap are skipped.
if [ -x /usr/bin/bwrap ] || [ -x /usr/local/bin/bwrap ]; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "bubblewrap: not installed; its tests are skipped"
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq bubblewrap >/dev/null 2>&1 ||
	{ apt-get update -qq && apt-get install -y -qq bubblewrap; } >/dev/null 2>&1 ||
	echo "bubblewrap: could not be installed; its tests are skipped"
exit 0
