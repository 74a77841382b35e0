-- One step of an alert, whole or not at all.
-- KEYS: 1 alert  2 newest alert of the fingerprint  3 transitions  4 outbox  5 feed  6 wake  7 ended  8 pending
--       9 leader of the evaluation  10 revision of the silences
-- ARGV: 1 prefix  2 alert id  3 expected version ('' when it must not exist)  4 expected newest id ('' for none)
--       5 version  6 alert  7 state  8 severity  9 place in listings  10 ended_us or ''  11 when to look at it again, in us, or ''
--       12 event or ''  13 feed length  14 transitions kept  15 fence ('' for none)
--       16 revision of the silences that the caller decided on  17… receiver, delivery id, delivery, next_us (each)
-- Returns 1, or 0 when alert or silences are not what the caller decided on, or the caller no longer leads.
local prefix, id, event = ARGV[1], ARGV[2], ARGV[12]
if ARGV[15] ~= '' and redis.call('GET', KEYS[9]) ~= ARGV[15] then return 0 end
if event ~= '' and (redis.call('GET', KEYS[10]) or '') ~= ARGV[16] then return 0 end
local stored = redis.call('HMGET', KEYS[1], 'version', 'state', 'severity')
if (stored[1] or '') ~= ARGV[3] then return 0 end
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[4] then return 0 end

if stored[2] then redis.call('ZREM', prefix .. 'by:' .. stored[2] .. ':' .. stored[3], ARGV[9]) end
redis.call('HSET', KEYS[1], 'version', ARGV[5], 'state', ARGV[7], 'severity', ARGV[8],
  'place', ARGV[9], 'json', ARGV[6])
-- Equal scores: the order is that of the members, which pages exactly even when many alerts begin at one instant.
redis.call('ZADD', prefix .. 'by:' .. ARGV[7] .. ':' .. ARGV[8], 0, ARGV[9])
redis.call('SET', KEYS[2], id)
if ARGV[11] ~= '' then redis.call('ZADD', KEYS[6], ARGV[11], id) else redis.call('ZREM', KEYS[6], id) end
if ARGV[10] ~= '' then redis.call('ZADD', KEYS[7], ARGV[10], id) else redis.call('ZREM', KEYS[7], id) end
if event == '' then return 1 end

redis.call('RPUSH', KEYS[3], event)
redis.call('LTRIM', KEYS[3], -tonumber(ARGV[14]), -1)
redis.call('XADD', KEYS[4], '*', 'key', id, 'value', event)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[13], '*', 'value', event)
for n = 17, #ARGV, 4 do
  local receiver, delivery_id = ARGV[n], ARGV[n + 1]
  redis.call('HSET', prefix .. 'delivery:' .. delivery_id, 'json', ARGV[n + 2], 'event', event)
  redis.call('ZADD', prefix .. 'due:' .. receiver, ARGV[n + 3], delivery_id)
  redis.call('ZADD', KEYS[8], ARGV[n + 3], delivery_id)
end
return 1
