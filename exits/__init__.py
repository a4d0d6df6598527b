"""When must a running grid end? Four states, every trigger of every preset with its value. Pure.

`opened` begins the fold of a grid, `readings_of` says what an hour brought, `advanced` takes the fold one
hour further. All triggers are evaluated and recorded every hour; the preset says which of them act:

| state | trigger | evidence | classic | conservative | aggressive |
| --- | --- | --- | --- | --- | --- |
| MANDATORY_EXIT | two_closes_outside | yes | yes | yes | yes |
| MANDATORY_EXIT | close_far_outside | yes | yes | yes | yes |
| MANDATORY_EXIT | stop_near | yes | yes | yes | yes |
| MANDATORY_EXIT | trend_on_both | no | yes | yes | no |
| MANDATORY_EXIT | late_without_break | no | yes | yes | no |
| MANDATORY_EXIT | profit_given_back | no | no | no | no |
| LATEST_ACCEPTABLE_EXIT | hold_unlikely | yes | no | yes | yes |
| LATEST_ACCEPTABLE_EXIT | transition_1h_stands | no | yes | yes | no |
| LATEST_ACCEPTABLE_EXIT | transition_4h_stands | no | yes | yes | no |
| LATEST_ACCEPTABLE_EXIT | half_life_long | no | yes | yes | no |
| LATEST_ACCEPTABLE_EXIT | volatility_expanded | no | yes | yes | no |
| LATEST_ACCEPTABLE_EXIT | reversion_failed | no | yes | yes | no |
| WARNING | hold_doubtful | yes | no | yes | yes |
| WARNING | transition_near | yes | yes | yes | yes |
| WARNING | confidence_falling | yes | no | yes | yes |
| WARNING | classic_confidence_falling | no | yes | no | no |
| WARNING | efficiency_rising | yes | yes | yes | yes |
| WARNING | half_life_lengthening | yes | yes | yes | yes |
| WARNING | volatility_rising | yes | yes | yes | yes |

`conservative` acts on everything that evidence or classic acts on; `aggressive` on what evidence acts on, at
lower probabilities, and LATEST_ACCEPTABLE_EXIT is only a notice there (`exits.advice`).
"""
