-- Keeps messages that are still on their way from becoming due again.
-- KEYS: 1 retry
-- ARGV: 1 prefix  2 receiver  3 now_us  4 lease_us  5… of each message: delivery id, alert id, lease token
local until_us = string.format('%.0f', tonumber(ARGV[3]) + tonumber(ARGV[4]))
for n = 5, #ARGV, 3 do
  local delivery_id, lease = ARGV[n], ARGV[1] .. 'lease:' .. ARGV[2] .. ':' .. ARGV[n + 1]
  local holder = redis.call('GET', lease)
  if redis.call('HGET', ARGV[1] .. 'delivery:' .. delivery_id, 'flying') == ARGV[n + 2]
    and (not holder or holder == ARGV[n + 2]) then
    redis.call('SET', lease, ARGV[n + 2], 'PX', math.ceil(ARGV[4] / 1000) + 1000)
    redis.call('ZADD', KEYS[1], until_us, delivery_id)
  end
end
return 1
