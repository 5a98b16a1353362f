# Usage: prepare.sh MAKE TARGET...
# Makes the targets that are not up to date, with one line of progress for each. Their output appears only when one fails.
make=$1
shift
missing=
count=0
for target; do
	if ! "$make" -q "$target" >/dev/null 2>&1; then
		missing="$missing $target"
		count=$((count + 1))
	fi
done
number=0
for target in $missing; do
	number=$((number + 1))
	echo "Setting up: $number of $count, about 30 s (${target%/.ready})" >&2
	if ! output=$("$make" --no-print-directory "$target" 2>&1); then
		printf '%s\n' "$output" >&2
		exit 1
	fi
done
