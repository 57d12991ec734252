# outage.gnuplot - throughput over time, and when the server was killed.
set terminal svg size 900,300 font "sans-serif,12" background "white"
set xlabel "seconds"
set ylabel "files made, written and removed / s"
set yrange [0:*]
set key outside top right horizontal
set grid ytics
plot data index 0 using ($1/1000):2 with steps lw 1.5 lc rgb "#1f5fa8" title "throughput", \
     data index 1 using ($1/1000):2 with points pt 9 ps 1.2 lc rgb "#c0392b" title "SIGKILL to the server"
