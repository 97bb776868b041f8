"""The scripts of the cache on Redis.

A value is a hash: the bytes as ``v``, and for each of its tags ``t:`` and the tag with the mark that the tag had when
the value was made. A tag's mark is a key of its own, made where it is missing; to drop a tag is to delete its mark, and
with it goes what was kept under it. A mark outlives all values that have it, so that none comes back when it is made
anew. The index has the names of all values by when they were last used.
"""

_FRESH = """
local function fresh(prefix)
  local fields, value, tags = redis.call('HGETALL', KEYS[1]), false, {}
  for at = 1, #fields, 2 do
    if fields[at] == 'v' then
      value = fields[at + 1]
    else
      local tag = string.sub(fields[at], 3)
      if redis.call('GET', prefix .. 't:' .. tag) ~= fields[at + 1] then
        redis.call('DEL', KEYS[1])
        return false
      end
      tags[#tags + 1] = tag
    end
  end
  return value, tags
end
local function touch(name)
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], 'XX', time[1] * 1000000 + time[2], name)
end
"""

_KEEP = """
local function mark(prefix, tag, made, ttl)
  local key = prefix .. 't:' .. tag
  local found = redis.call('GET', key)
  if not found then
    redis.call('SET', key, made, 'PX', ttl)
    return made
  end
  if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
  return found
end
local function keep(prefix, name, ttl, most, bytes, marks)
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'v', bytes, unpack(marks))
  redis.call('PEXPIRE', KEYS[1], ttl)
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], time[1] * 1000000 + time[2], name)
  local beyond = redis.call('ZCARD', KEYS[2]) - tonumber(most)
  if beyond > 0 then
    local gone = redis.call('ZPOPMIN', KEYS[2], beyond)
    for at = 1, #gone, 2 do redis.call('DEL', prefix .. 'v:' .. gone[at]) end
  end
end
"""

GET = (
    _FRESH
    + """
-- KEYS: value, index. ARGV: prefix, name. Returns nothing, or the bytes, milliseconds left, tags.
local value, tags = fresh(ARGV[1])
if not value then return false end
touch(ARGV[2])
return {value, redis.call('PTTL', KEYS[1]), unpack(tags)}
"""
)

GET_OR_LOCK = (
    _FRESH
    + _KEEP
    + """
-- KEYS: value, index, lock. ARGV: prefix, name, token, milliseconds of the lock, of marks, then tags.
-- Returns {1, bytes, milliseconds left, tags...}, {2, marks...} to who may make the value, {0} to who is to wait.
local value, tags = fresh(ARGV[1])
if value then
  touch(ARGV[2])
  return {1, value, redis.call('PTTL', KEYS[1]), unpack(tags)}
end
if not redis.call('SET', KEYS[3], ARGV[3], 'NX', 'PX', ARGV[4]) then return {0} end
local marks = {2}
for at = 6, #ARGV do marks[#marks + 1] = mark(ARGV[1], ARGV[at], ARGV[3], ARGV[5]) end
return marks
"""
)

KEEP_MADE = (
    _KEEP
    + """
-- KEYS: value, index, lock. ARGV: prefix, name, token, milliseconds, bound, bytes, then tags each with its mark.
-- Keeps what was made, if neither it nor a tag of it was dropped meanwhile.
if redis.call('GET', KEYS[3]) ~= ARGV[3] then return 0 end
redis.call('DEL', KEYS[3])
local marks = {}
for at = 7, #ARGV, 2 do
  if redis.call('GET', ARGV[1] .. 't:' .. ARGV[at]) ~= ARGV[at + 1] then return 0 end
  marks[#marks + 1], marks[#marks + 2] = 't:' .. ARGV[at], ARGV[at + 1]
end
keep(ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6], marks)
return 1
"""
)

SET = (
    _KEEP
    + """
-- KEYS: value, index, lock. ARGV: prefix, name, token, milliseconds, bound, bytes, channel, message, then tags.
redis.call('DEL', KEYS[3])
local marks = {}
for at = 9, #ARGV do
  marks[#marks + 1], marks[#marks + 2] = 't:' .. ARGV[at], mark(ARGV[1], ARGV[at], ARGV[3], ARGV[4])
end
keep(ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6], marks)
redis.call('PUBLISH', ARGV[7], ARGV[8])
return 1
"""
)

DROP = """
-- KEYS: value, index, lock. ARGV: name, channel, message.
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""

DROP_TAG = """
-- KEYS: mark. ARGV: channel, message.
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
"""

UNLOCK = """
-- KEYS: lock. ARGV: token.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""

EMPTY = """
-- KEYS: index. ARGV: prefix. Deletes a thousand values; returns 0 once there is none.
local gone = redis.call('ZPOPMIN', KEYS[1], 1000)
for at = 1, #gone, 2 do redis.call('DEL', ARGV[1] .. 'v:' .. gone[at]) end
return #gone
"""
