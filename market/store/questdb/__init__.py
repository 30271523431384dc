"""QuestDB as the station's store: written over its line protocol (HTTP), read over its PostgreSQL wire."""
