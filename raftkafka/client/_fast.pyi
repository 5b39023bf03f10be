from raftkafka.client.appending import Appender as Appender
from raftkafka.client.appending import Filling as Filling
from raftkafka.client.appending import Room as Room
from raftkafka.client.appending import Sticky as Sticky
