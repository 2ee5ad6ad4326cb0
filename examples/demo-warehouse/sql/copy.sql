COPY ${table} (${columns})
FROM '${url}'
IAM_ROLE '${role}'
FORMAT AS CSV
IGNOREHEADER 1
EMPTYASNULL
