/* The headers are for CIGZip, which includes them itself: their structures cannot be imported into Swift. */
