"""Words of the invented world that `demo_data` draws from: common names and plain nouns, no real person or company."""

FIRST = {  # given name: its short form
    "Alexander": "Alex", "Andrew": "Andy", "Anthony": "Tony", "Barbara": "Barb", "Benjamin": "Ben", "Catherine": "Kate",
    "Charles": "Charlie", "Christina": "Tina", "Christopher": "Chris", "Daniel": "Dan", "Deborah": "Debbie",
    "Edward": "Ted", "Elizabeth": "Liz", "Frederick": "Fred", "Gabriela": "Gabi", "Gregory": "Greg", "Isabella": "Bella",
    "Jacqueline": "Jackie", "James": "Jim", "Jennifer": "Jen", "Jonathan": "Jon", "Joseph": "Joe", "Katarina": "Kat",
    "Kenneth": "Ken", "Lawrence": "Larry", "Margaret": "Maggie", "Matthew": "Matt", "Michael": "Mike", "Natalia": "Nat",
    "Nicholas": "Nick", "Patricia": "Pat", "Rebecca": "Becky", "Richard": "Rick", "Robert": "Bob", "Samantha": "Sam",
    "Stephen": "Steve", "Susanna": "Sue", "Theodore": "Theo", "Thomas": "Tom", "Timothy": "Tim", "Valentina": "Val",
    "Victoria": "Vicky", "William": "Bill", "Zachary": "Zach",
}  # fmt: skip
LAST = """Abbott Almeida Andersen Bakker Baumann Becker Bennett Bergstrom Bianchi Bishop Brandt Carlsen Castillo Chandra
Chen Dawson Delgado Dubois Eriksson Farrell Ferrari Fischer Fletcher Foster Garcia Gibson Hansen Hartmann Hughes Ibrahim
Ivanov Jensen Johansson Kaplan Keller Kowalski Kumar Lambert Larsen Lehmann Lopez Malik Marino Mendes Meyer Moreau Murphy
Nakamura Nguyen Novak Okafor Olsen Park Patel Petrov Quinn Ramirez Rossi Sanders Santos Schmidt Silva Singh Sorensen
Takahashi Tanaka Turner Vargas Virtanen Vogel Wagner Walsh Weber Whitfield Yilmaz Zimmermann""".split()
CITY = """Aberdeen Antwerp Austin Bergen Bologna Boston Bremen Bristol Calgary Chicago Denver Dublin Geneva Ghent Graz
Hamburg Leeds Leipzig Lisbon Lyon Malmo Milan Nantes Oslo Ottawa Porto Seattle Seville Tampa Turin Utrecht Zurich""".split()
STREET = """Birch Bridge Canal Castle Cedar Chapel Church Garden Harbour High Hill King Lake Market Meadow Mill Oak Park
Queen River School Spring Station Victoria West Willow""".split()
BRAND = """Acorn Alpine Amber Apex Aster Atlas Aurora Beacon Blue Boreal Cobalt Copper Crescent Delta Ember Everest
Falcon Granite Harbor Helix Horizon Indigo Juniper Keystone Lantern Lumen Maple Meridian Nimbus North Orchid Pioneer
Quartz Raven Sierra Solstice Summit Terra Titan Umbra Vertex Violet Willow Zenith""".split()
TRADE = """Analytics Bakery Capital Consulting Dental Electric Energy Engineering Foods Freight Furniture Insurance
Interiors Labs Logistics Machinery Media Motors Optics Partners Pharma Plastics Robotics Security Software Steel Systems
Textiles Travel Ventures""".split()
LEGAL = (("Incorporated", "Inc."), ("Limited", "Ltd"), ("GmbH", "G.m.b.H."), ("Corporation", "Corp."), ("AB", ""))
TITLE = ("Account Manager", "Buyer", "Controller", "Head of Sales", "Office Manager", "Operations Lead", "Project Manager")
MAIL = ("mailbox.example", "post.example", "inbox.example", "webmail.example")
