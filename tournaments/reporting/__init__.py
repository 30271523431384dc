"""What a season's rounds come to beyond each round's own record: figures with their errors, and the source's claims."""
