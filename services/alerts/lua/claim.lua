-- Leases the next due message of a receiver. One message of an alert at a time, so that they arrive in order.
-- KEYS: 1 due of the receiver
-- ARGV: 1 prefix  2 receiver  3 now_us  4 lease_us  5 lease token
-- Returns {delivery, event}, or nil when nothing is due.
local prefix, receiver, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
for _, delivery_id in ipairs(due) do
  local found = redis.call('HMGET', prefix .. 'delivery:' .. delivery_id, 'json', 'event')
  if not found[1] then
    redis.call('ZREM', KEYS[1], delivery_id)
  else
    local lease = prefix .. 'lease:' .. receiver .. ':' .. cjson.decode(found[1]).alert_id
    if redis.call('SET', lease, ARGV[5], 'NX', 'PX', math.ceil(ARGV[4] / 1000)) then
      redis.call('ZADD', KEYS[1], now + ARGV[4], delivery_id)
      return found
    end
  end
end
return nil
