#!/bin/busybox sh
# The first process of a guest: sets up what programs expect, loads modules, runs the script, tells its status.
/bin/busybox --install -s /bin
export PATH=/usr/local/bin:/bin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for directory in /dev/shm /run /tmp; do
    mount -t tmpfs tmpfs $directory
done
mount -t debugfs debugfs /sys/kernel/debug
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
ln -s /proc/self/mounts /etc/mtab
hostname guest
ip link set lo up

# Ports of the machine: the first carries the script's words, the second what becomes of it.
tries=0
while [ ! -c /dev/vport1p2 ] && [ ! -c /dev/vport0p2 ] && [ $tries -lt 200 ]; do
    usleep 20000
    tries=$((tries + 1))
done
words=$(echo /dev/vport*p1)
status=$(echo /dev/vport*p2)

over() {
    echo "$*" >"$status"
    poweroff -f
    sleep 60
}

while read -r module arguments; do
    insmod "/guest/modules/$module.ko" $arguments || over "refused module $module does not load"
done </guest/order

echo begun >"$status"
cd /root
# Not by busybox: its shell takes an applet for each program that has the name of one.
dash /guest/script <>"$words" >&0 2>&1
code=$?
# A device whose server is gone would have us wait for ever.
timeout 20 sync
over "status $code"
