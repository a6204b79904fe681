#!/bin/sh
# Installs the Debian tools that tests call: dciodvfy (dicom3tools), pdftoppm and pdftotext
# (poppler-utils), and what these need to read Chinese, Japanese and Korean names (poppler-data).
set -eu
missing=""
command -v dciodvfy >/dev/null || missing="$missing dicom3tools"
command -v pdftoppm >/dev/null || missing="$missing poppler-utils"
[ -d /usr/share/poppler/cMap ] || missing="$missing poppler-data"
[ -z "$missing" ] && exit 0
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
echo "installing:$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086  # a list of package names
$sudo apt-get install -y --no-install-recommends $missing
