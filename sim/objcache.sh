#!/bin/sh
# Compiler wrapper (make's OBJCACHE): the simulator's own runtime, alike in every build, is compiled once.
# Objects are kept in $EDT_OBJECTS, named by a hash of the whole command line (its sources lie in versioned packages).
object= source= next=
for word; do
  case $next in -o) object=$word ;; esac
  next=$word source=$word
done
case $source in
  */verilator/include/*.cpp) ;;  # not cocotb's main: it includes the design
  *) exec "$@" ;;
esac
kept=$EDT_OBJECTS/$(echo "$*" "$(stat -c %Y "$source")" | sha256sum | cut -c1-32).o
[ -n "$object" ] || object=$(basename "$source" .cpp).o
if ! cp "$kept" "$object" 2>/dev/null; then
  "$@" || exit
  cp "$object" "$kept.$$" && mv "$kept.$$" "$kept"
fi
