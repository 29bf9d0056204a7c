#!/bin/sh
# Build llama.cpp's server into .servers, from the source that its Python package carries, for the
# tests in tests/servers. Takes some five minutes of two idle cores. Where it cannot be built this says
# so and is no error: the tests are skipped, and say so too.
#   tools/build_servers.sh PYTHON
set -eu
python=$1
out=.servers
lock=requirements/servers.lock
if [ -x "$out/llama-server" ] && [ "$out/llama-server" -nt "$lock" ]; then
	exit 0
fi
for program in cmake c++ make; do
	if ! command -v "$program" >/dev/null; then
		echo "servers: no $program here; tests that need a server are skipped"
		exit 0
	fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "servers: fetching and building llama.cpp's server (some five minutes)"
if ! "$python" -m pip --disable-pip-version-check -q download --no-deps --no-binary :all: \
	--require-hashes -r "$lock" -d "$work" >"$work/log" 2>&1; then
	tail -3 "$work/log"
	echo "servers: the source could not be fetched; tests that need a server are skipped"
	exit 0
fi
tar -xzf "$work"/llama_cpp_python-*.tar.gz -C "$work"
# Nothing is fetched while it builds, and what is built runs on other machines of the kind.
if cmake -S "$work"/llama_cpp_python-*/vendor/llama.cpp -B "$work/build" \
	-DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DCMAKE_C_FLAGS_RELEASE=-O1 \
	-DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_CCACHE=OFF -DBUILD_SHARED_LIBS=OFF \
	-DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_BUILD_TESTS=OFF \
	-DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF >"$work/log" 2>&1 &&
	cmake --build "$work/build" --target llama-server -j "$(nproc)" >>"$work/log" 2>&1; then
	mkdir -p "$out"
	cp "$work/build/bin/llama-server" "$out/llama-server"
	echo "servers: $out/llama-server is ready"
else
	tail -5 "$work/log"
	echo "servers: it could not be built; tests that need a server are skipped"
fi
