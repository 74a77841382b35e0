-- Leases the next due message of a receiver. One message of an alert at a time, so that they arrive in order.
-- What was perhaps sent already lies in `retry` and is only ever sent again as it was. Fresh messages lie in `due`:
-- while more than `after` of them went out in `per_us`, they are gathered, and go out as one digest each `every_us`.
-- KEYS: 1 due  2 retry  3 sent  4 gather (until when messages are gathered)  5 gathered (alert -> digest)  6 pending
-- ARGV: 1 prefix  2 receiver  3 now_us  4 lease_us  5 lease token  6 after ('' for no limit)  7 per_us  8 every_us
--       9 most messages of a digest  10 digest id  11 digest
-- Returns {delivery, event, '1' when it was perhaps sent before}, or nil when nothing is due.
local prefix, receiver, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local until_us = string.format('%.0f', now + tonumber(ARGV[4]))
local after = tonumber(ARGV[6])

local function lease(name) return prefix .. 'lease:' .. receiver .. ':' .. name end

local function held(alert_id)
  if redis.call('EXISTS', lease(alert_id)) == 1 then return true end
  local digest = redis.call('HGET', KEYS[5], alert_id)
  return digest and redis.call('EXISTS', lease(digest)) == 1
end

local function taken(delivery_id, alert_id)
  -- A second more than the message has, which so is due first: nothing about its alert overtakes it.
  redis.call('SET', lease(alert_id), ARGV[5], 'PX', math.ceil(ARGV[4] / 1000) + 1000)
  redis.call('ZREM', KEYS[1], delivery_id)
  redis.call('ZADD', KEYS[2], until_us, delivery_id)
  redis.call('HSET', prefix .. 'delivery:' .. delivery_id, 'flying', ARGV[5])
end

local function heard(delivery)
  if not delivery.ends then redis.call('SADD', prefix .. 'told:' .. delivery.alert_id, receiver) end
end

for _, delivery_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)) do
  local found = redis.call('HMGET', prefix .. 'delivery:' .. delivery_id, 'json', 'event', 'flying')
  if not found[1] then
    redis.call('ZREM', KEYS[2], delivery_id)
  else
    local delivery = cjson.decode(found[1])
    if not held(delivery.alert_id) then
      if found[3] then  -- whoever had it died: perhaps after the receiver had taken it
        if delivery.kind == 'digest' then
          for _, member in ipairs(redis.call('LRANGE', prefix .. 'digest:' .. delivery_id, 0, -1)) do
            local stored = redis.call('HGET', prefix .. 'delivery:' .. member, 'json')
            if stored then heard(cjson.decode(stored)) end
          end
        elseif not delivery.kind then
          heard(delivery)
        end
      end
      taken(delivery_id, delivery.alert_id)
      return {found[1], found[2] or '', found[3] and '1' or ''}
    end
  end
end

local gathering = after and redis.call('GET', KEYS[4])
if after and not gathering then  -- what waited for the end of a quiet time comes as one
  for _, delivery_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 10)) do
    local stored = redis.call('HGET', prefix .. 'delivery:' .. delivery_id, 'json')
    if stored and cjson.decode(stored).held then
      redis.call('SET', KEYS[4], ARGV[3])
      gathering = ARGV[3]
      break
    end
  end
end
if gathering and now < tonumber(gathering) then return nil end

if gathering then
  local members = {}
  for _, delivery_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[9])) do
    local stored = redis.call('HGET', prefix .. 'delivery:' .. delivery_id, 'json')
    if not stored then
      redis.call('ZREM', KEYS[1], delivery_id)
    else
      local delivery = cjson.decode(stored)
      if not held(delivery.alert_id) then table.insert(members, delivery) end
    end
  end
  if #members > 1 then
    local digest_id = ARGV[10]
    for _, delivery in ipairs(members) do
      redis.call('ZREM', KEYS[1], delivery.delivery_id)
      redis.call('HSET', prefix .. 'delivery:' .. delivery.delivery_id, 'digest', digest_id)
      redis.call('RPUSH', prefix .. 'digest:' .. digest_id, delivery.delivery_id)
    end
    for _, delivery in ipairs(members) do redis.call('HSET', KEYS[5], delivery.alert_id, digest_id) end
    redis.call('HSET', prefix .. 'delivery:' .. digest_id, 'json', ARGV[11])
    redis.call('ZADD', KEYS[6], now, digest_id)
    redis.call('ZADD', KEYS[3], now, digest_id)
    taken(digest_id, digest_id)
    if #members >= tonumber(ARGV[9]) then
      redis.call('SET', KEYS[4], ARGV[3])
    elseif #members > after then
      redis.call('SET', KEYS[4], string.format('%.0f', now + tonumber(ARGV[8])))
    else
      redis.call('DEL', KEYS[4])
    end
    return {ARGV[11], '', ''}
  end
  redis.call('DEL', KEYS[4])
end

local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
if after and #due > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - tonumber(ARGV[7])))
  if redis.call('ZCARD', KEYS[3]) >= after and not gathering then
    redis.call('SET', KEYS[4], string.format('%.0f', now + tonumber(ARGV[8])))
    return nil
  end
end
for _, delivery_id in ipairs(due) do
  local found = redis.call('HMGET', prefix .. 'delivery:' .. delivery_id, 'json', 'event')
  if not found[1] then
    redis.call('ZREM', KEYS[1], delivery_id)
  else
    local delivery = cjson.decode(found[1])
    if not held(delivery.alert_id) then
      taken(delivery_id, delivery.alert_id)
      if after then redis.call('ZADD', KEYS[3], now, delivery_id) end
      return {found[1], found[2] or '', ''}
    end
  end
end
return nil
