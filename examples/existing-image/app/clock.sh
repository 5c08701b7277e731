# Writes the time to a file once a second, until it is told to stop.
trap 'echo "clock: stopped"; exit 0' TERM
while :; do
  date >/run/app/now.new && mv /run/app/now.new /run/app/now
  sleep 1 & wait $!
done
