-- Writes down how an attempt ended, if the lease is still ours.
-- KEYS: 1 due of the receiver  2 pending  3 settled
-- ARGV: 1 prefix  2 receiver  3 delivery id  4 alert id  5 lease token  6 delivery  7 state  8 next_us or ''
--       9 now_us  10 '1' when the receiver took it
-- Returns 1, or 0 when another worker has the lease.
local prefix, receiver, delivery_id, alert_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease = prefix .. 'lease:' .. receiver .. ':' .. alert_id
if redis.call('GET', lease) ~= ARGV[5] then return 0 end
redis.call('DEL', lease)
redis.call('HSET', prefix .. 'delivery:' .. delivery_id, 'json', ARGV[6])
if ARGV[8] ~= '' then
  redis.call('ZADD', KEYS[1], ARGV[8], delivery_id)
  redis.call('ZADD', KEYS[2], ARGV[8], delivery_id)
  return 1
end
redis.call('ZREM', KEYS[1], delivery_id)
redis.call('ZREM', KEYS[2], delivery_id)
redis.call('ZADD', KEYS[3], ARGV[9], delivery_id)
if ARGV[10] == '1' then redis.call('SADD', prefix .. 'told:' .. alert_id, receiver) end
return 1
