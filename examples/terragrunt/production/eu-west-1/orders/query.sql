select ordered_at, country, order_id as orders
from orders
where ordered_at >= {{ window_start }} and ordered_at < {{ window_end }}
