"""Words for people: translations of everything the laboratory says."""

from lis.words.speaking import LANGUAGES, Words, all_keys, messages, say

__all__ = ["LANGUAGES", "Words", "all_keys", "messages", "say"]
