GRANT SELECT ON platform, marketplace, ecommerce TO PUBLIC
