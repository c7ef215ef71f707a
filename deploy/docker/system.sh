#!/bin/sh
# Makes the root of the image out of Debian's packages, Node besides.
#
#   system.sh DEBS ROOT      a folder of .deb files, and the folder to make
set -eu

debs=${1:?usage: system.sh DEBS ROOT}
root=${2:?usage: system.sh DEBS ROOT}

# As Debian has it: /bin and /lib are /usr/bin and /usr/lib.
for folder in bin sbin lib lib32 lib64 libx32; do
  mkdir -p "$root/usr/$folder"
  ln -s "usr/$folder" "$root/$folder"
done
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/etc/ssl/certs" "$root/usr/local/bin" \
  "$root/node_modules" "$root/var/lib/dpkg/status.d"
chmod 1777 "$root/tmp"

# Of each package the files that run, its licence, and its entry in the list that scanners read.
for deb in "$debs"/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink \
    --exclude='./etc/*' --exclude='./sbin/*' --exclude='./usr/sbin/*' \
    --exclude='./usr/lib/*/gconv/*' --exclude='./usr/share/[!d]*' --exclude='./usr/share/doc/*/[!c]*' \
    --exclude='./usr/share/doc/*/changelog*'
  dpkg-deb -f "$deb" > "$root/var/lib/dpkg/status.d/$(dpkg-deb -f "$deb" Package)"
done
"$root/bin/busybox" --list | grep -vx busybox | while IFS= read -r applet; do
  ln -s busybox "$root/bin/$applet"
done

cp /etc/os-release /etc/debian_version "$root/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
echo 'multi on' > "$root/etc/host.conf"
# The usual order, but that `localhost` is 127.0.0.1 first: Hector listens on IPv4, and wget tries one address only.
cat > "$root/etc/gai.conf" <<'END'
precedence ::1/128 1
precedence ::/0 40
precedence 2002::/16 30
precedence ::/96 20
precedence ::ffff:0:0/96 10
END
cat > "$root/etc/passwd" <<'END'
root:x:0:0:root:/:/bin/sh
hector:x:1001:1001:Hector:/app:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
END
cat > "$root/etc/group" <<'END'
root:x:0:
hector:x:1001:
nogroup:x:65534:
END

# From every folder a plugin finds by this name the Hector that it is loaded into.
ln -s /usr/local/lib/hector "$root/node_modules/hector"
ln -s ../lib/hector/dist/server/cli.js "$root/usr/local/bin/hector"
