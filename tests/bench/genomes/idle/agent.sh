#!/bin/sh
# Makes a source that no other generation has. As `agent solve` it is measured, and says nothing.
[ "${1:-}" = solve ] && exit 0
date +%s%N > mark
