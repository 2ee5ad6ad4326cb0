select e.ts, e.views, e.revenue, p.name as platform, m.name as marketplace
from ecommerce e
join platform p on p.id = e.platform
join marketplace m on m.id = e.marketplace
where e.ts >= {{ window_start }} and e.ts < {{ window_end }}
