-- Forgets what is older than its time: resolved alerts, and messages that were settled. In small pieces.
-- KEYS: 1 ended  2 settled
-- ARGV: 1 prefix  2 alerts ended before, us  3 messages settled before, us  4 at most so many of each
-- Returns how many alerts were forgotten.
local prefix = ARGV[1]
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])
for _, id in ipairs(old) do
  local alert = prefix .. 'alert:' .. id
  local stored = redis.call('HMGET', alert, 'state', 'severity', 'json', 'place')
  if stored[1] then
    redis.call('ZREM', prefix .. 'by:' .. stored[1] .. ':' .. stored[2], stored[4])
    local newest = prefix .. 'newest:' .. cjson.decode(stored[3]).fingerprint
    if redis.call('GET', newest) == id then redis.call('DEL', newest) end
  end
  redis.call('DEL', alert, prefix .. 'transitions:' .. id, prefix .. 'told:' .. id, prefix .. 'handles:' .. id)
  redis.call('ZREM', KEYS[1], id)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[3], 'LIMIT', 0, ARGV[4])) do
  redis.call('DEL', prefix .. 'delivery:' .. id, prefix .. 'digest:' .. id)
  redis.call('ZREM', KEYS[2], id)
end
return #old
