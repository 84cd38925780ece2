# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Where the base comes from; used by scripts/vm and scripts/kernel-patches.
# Expects: patches, series_dir, cache. Sets: version, tarball, src.

: "${prog:?}" "${patches:?}" "${series_dir:?}" "${cache:?}"

say() { echo "$prog: $*" >&2; }
cannot() { say "cannot go on: $*"; exit 125; }

# apt-get with lists of our own for a suite that the machine does not use. Asks the
# mirror that the machine uses already and leaves its sources as they are.
apt_suite()
{
	local suite=$1 mirror apt=$cache/apt-$1 opts
	shift

	# shellcheck disable=SC2016 # apt expands these
	mirror=$(apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(LABEL) $(REPO_URI)' |
		 awk '$1 == "Packages" && $2 == "Debian" && $3 == "Debian" { print $4; exit }')
	[ -n "$mirror" ] || { say "no Debian mirror in the apt sources"; return 1; }

	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"$mirror $suite main" > "$apt/sources.list"
	opts=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list"
	      -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$apt/lists"
	      -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
	apt-get "${opts[@]}" update >&2 && apt-get "${opts[@]}" "$@" >&2
}

# need_packages PROGRAM:PACKAGE|FILE:PACKAGE...: installs those whose program or file is missing
need_packages()
{
	local missing=() pair

	for pair; do
		case $pair in
		/*) [ -e "${pair%%:*}" ] || missing+=("${pair#*:}") ;;
		*) command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}") ;;
		esac
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || cannot "install ${missing[*]}"
	say "installing ${missing[*]}"
	apt-get -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install -qq -y \
		--no-install-recommends "${missing[@]}" >/dev/null ||
		cannot "packages are not to be had: ${missing[*]}"
}

# Sets version and tarball. An installed package wins, otherwise the newest one of
# the machine's sources, or of the suite that BASE names, is downloaded and unpacked.
find_base()
{
	local package suite deb

	read -r package _ suite < "$patches/$series_dir/BASE"
	version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null || true)
	tarball=/usr/src/$package.tar.xz
	[ -n "$version" ] && [ -e "$tarball" ] && return

	mkdir -p "$cache/deb"
	version=$(find "$cache/deb" -maxdepth 1 -name "$package-*.tar.xz" \
		  -printf '%f\n' | sort -V | tail -n 1)
	version=${version#"$package-"}
	version=${version%.tar.xz}
	tarball=$cache/deb/$package-$version.tar.xz
	[ -n "$version" ] && return

	say "fetching $package"
	rm -f "$cache/deb/${package}"_*.deb
	(
		cd "$cache/deb" || exit
		if apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then
			apt-get -qq download "$package" >&2
		elif [ -n "$suite" ]; then
			apt_suite "$suite" download "$package"
		else
			exit 1
		fi
	) || cannot "package $package is not to be had"
	deb=$(find "$cache/deb" -maxdepth 1 -name "${package}_*.deb" | head -n 1)
	version=$(dpkg-deb -f "$deb" Version)
	tarball=$cache/deb/$package-$version.tar.xz
	dpkg-deb --fsys-tarfile "$deb" |
		tar -xOf - "./usr/src/$package.tar.xz" > "$tarball.part"
	mv "$tarball.part" "$tarball"
	rm -f "$deb"
}

series_files()
{
	local name

	while read -r name; do
		case $name in ''|'#'*) continue ;; esac
		echo "$patches/$series_dir/$name"
	done < "$patches/$series_dir/series"
}

# Unpack the base into a git tree and tag it
unpack_base()
{
	rm -rf "$1" "$1.part"
	mkdir -p "$1.part"
	tar -xf "$tarball" -C "$1.part" --strip-components=1
	(
		cd "$1.part" || exit
		git init -q .
		git config user.name "waymark developers"
		git config user.email waymark@example.org
		git config gc.auto 0
		git add -A -f .
		git commit -q -m "$version"
		git tag base
	)
	mv "$1.part" "$1"
}

# The tree in the cache; hold the lock
prepare_source()
{
	src=$cache/src-$version
	[ -e "$src/.git/refs/tags/base" ] && return
	say "unpacking $version"
	unpack_base "$src"
}

# The tree is the base again, whatever was under way in it when its user was ended: half a
# patch applied, files that git does not know yet, a lock that nobody holds any more. (Who
# calls this holds the cache's own lock.)
reset_source()
{
	(
		cd "$src" || exit
		rm -f "$(git rev-parse --git-path index.lock)" "$(git rev-parse --git-path HEAD.lock)"
		git am -q --abort 2>/dev/null || true
		rm -rf "$(git rev-parse --git-path rebase-apply)"
		git checkout -q -f --detach base
		git clean -q -f -f -d -x
	)
}

# The lines of configuration that are asked for. Without comments: those do not make another
# kernel. Expects: debug.
fragments()
{
	grep -h '^CONFIG_' "$patches/guest.config"
	[ "${debug:?}" = 0 ] || grep -h '^CONFIG_' "$patches/debug.config"
}
