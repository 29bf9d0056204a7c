#!/bin/sh
# Install what some tests need, where that takes nothing but saying so: as root, with apt-get.
# Elsewhere, and when it fails, this says so and is no error: those tests are skipped.
missing=""
need() { # PROGRAM PACKAGE
	PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null || missing="$missing $2"
}
need bwrap bubblewrap
need ssh openssh-client
need sshd openssh-server
need gh gh
if [ -z "$missing" ]; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "not installed, so their tests are skipped:$missing"
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
export RUNLEVEL=1 # a server that is installed is not started: tests start their own
is_updated=""
for package in $missing; do
	apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 && continue
	[ -n "$is_updated" ] || apt-get update -qq >/dev/null 2>&1
	is_updated=yes
	apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
		echo "$package: could not be installed; its tests are skipped"
done
exit 0
