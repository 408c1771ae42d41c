/*---
description: Which products the same customers bought. A warehouse computes it at night; here it is computed when asked.
key: [product_id, other_id]
---*/
select row_number() over (order by product_id, other_id) as pair_id,
       product_id,
       other_id,
       row_number() over (partition by product_id order by cosine desc, together desc, other_id) as place,
       together, support, confidence, lift, cosine
from desk.bought_together
