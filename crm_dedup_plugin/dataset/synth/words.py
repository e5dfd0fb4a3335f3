"""Words that the libraries do not have: trades, legal forms, Arabic names in Latin letters, and the reach of each locale."""

# Faker's locale: region of phone numbers and addresses, country as written in records, language of trades and legal forms.
LOCALES = {
    "en_US": ("US", "USA", "en"), "en_GB": ("GB", "United Kingdom", "en"), "en_IE": ("IE", "Ireland", "en"), "en_NZ": ("NZ", "New Zealand", "en"),
    "en_IN": ("IN", "India", "en"), "de_DE": ("DE", "Germany", "de"), "de_AT": ("AT", "Austria", "de"), "de_CH": ("CH", "Switzerland", "de"),
    "fr_FR": ("FR", "France", "fr"), "fr_CA": ("CA", "Canada", "fr"), "it_IT": ("IT", "Italy", "it"), "es_ES": ("ES", "Spain", "es"),
    "es_MX": ("MX", "Mexico", "es"), "pt_BR": ("BR", "Brazil", "pt"), "pt_PT": ("PT", "Portugal", "pt"), "nl_NL": ("NL", "Netherlands", "nl"),
    "nl_BE": ("BE", "Belgium", "nl"), "sv_SE": ("SE", "Sweden", "sv"), "da_DK": ("DK", "Denmark", "da"), "no_NO": ("NO", "Norway", "da"),
    "fi_FI": ("FI", "Finland", "fi"), "cs_CZ": ("CZ", "Czechia", "cs"), "ro_RO": ("RO", "Romania", "ro"), "ru_RU": ("RU", "Russia", "ru"),
    "uk_UA": ("UA", "Ukraine", "ru"), "el_GR": ("GR", "Greece", "el"), "ar_SA": ("SA", "Saudi Arabia", "ar"), "zh_CN": ("CN", "China", "zh"),
    "ja_JP": ("JP", "Japan", "ja"), "ko_KR": ("KR", "South Korea", "ko"),
}  # fmt: skip
UNSEEN_LOCALES = {
    "hu_HU": ("HU", "Hungary", "en"), "hr_HR": ("HR", "Croatia", "en"), "ka_GE": ("GE", "Georgia", "en"), "hy_AM": ("AM", "Armenia", "en"),
    "th_TH": ("TH", "Thailand", "en"), "hi_IN": ("IN", "India", "en"), "id_ID": ("ID", "Indonesia", "en"), "sk_SK": ("SK", "Slovakia", "en"),
}  # fmt: skip

BRANDS = """Acorn Alpina Amber Apex Aster Atlas Aurora Avanti Beacon Boreal Bravo Cobalt Concorde Copper Corvus Crescent Delta Ember Everest
Falcon Fortuna Granit Harbor Helix Helios Horizon Indigo Juniper Kappa Keystone Lantern Largo Lumen Lyra Maris Meridian Nautilus Nimbus Norda Nova
Olympia Omega Optima Orion Palma Pegasus Phoenix Pioneer Polaris Prima Quartz Raven Regent Rubin Sierra Sigma Solara Solstice Stella Summit Terra
Titan Trident Umbra Unitas Vector Vega Verde Vertex Vesta Vista Volta Zenith Zephyr""".split()

TRADES = {
    "en": "Logistics|Consulting|Engineering|Foods|Insurance|Dental Care|Freight|Software|Plumbing|Property Services|Textiles|Security|Energy|"
    "Printing|Travel|Motors|Furniture|Packaging|Catering|Electrical|Solutions|Partners|Media|Analytics",
    "de": "Logistik|Maschinenbau|Bau|Handel|Technik|Immobilien|Elektro|Druck|Beratung|Spedition|Metallbau|"
    "Möbel|Energie|Versicherungen|Gebäudetechnik",
    "fr": "Transports|Conseil|Bâtiment|Immobilier|Électricité|Boulangerie|Assurances|Informatique|Imprimerie|Menuiserie|Énergie|Voyages|Plomberie",
    "it": "Trasporti|Costruzioni|Consulenza|Alimentari|Immobiliare|Arredamenti|Meccanica|Tessuti|Assicurazioni|Impianti|Viaggi",
    "es": "Transportes|Construcciones|Consultores|Alimentos|Inmobiliaria|Seguros|Talleres|Textiles|Energía|Muebles|Viajes|Imprenta",
    "pt": "Transportes|Construções|Consultoria|Alimentos|Imóveis|Seguros|Móveis|Energia|Tecidos|Viagens|Gráfica",
    "nl": "Transport|Bouw|Advies|Vastgoed|Verzekeringen|Techniek|Installaties|Drukkerij|Meubelen|Reizen|Energie",
    "sv": "Transport|Bygg|Konsult|Fastigheter|Försäkring|Elteknik|Möbler|Tryckeri|Resor|Energi|Livsmedel",
    "da": "Transport|Byg|Rådgivning|Ejendomme|Forsikring|El|Møbler|Trykkeri|Rejser|Energi",
    "fi": "Kuljetus|Rakennus|Konsultointi|Kiinteistöt|Vakuutus|Sähkö|Kalusteet|Matkat|Energia",
    "cs": "Doprava|Stavby|Poradenství|Reality|Pojištění|Elektro|Nábytek|Tiskárna|Energie",
    "ro": "Transport|Construcții|Consultanță|Imobiliare|Asigurări|Mobilă|Energie|Turism",
    "ru": "Логистика|Строй|Консалтинг|Недвижимость|Мебель|Энергия|Текстиль|Торг|Сервис",
    "el": "Μεταφορές|Κατασκευές|Σύμβουλοι|Ασφάλειες|Έπιπλα|Ενέργεια|Ταξίδια",
    "ar": "Trading|Contracting|Logistics|Foods|Medical|Travel|Industries",
    "zh": "物流|科技|贸易|食品|建筑|纺织", "ja": "商事|工業|運輸|食品|建設|印刷", "ko": "물류|건설|식품|무역|전자|인쇄",
}  # fmt: skip

# Each legal form with the ways to write it; the first is the official one.
LEGAL = {
    "en": (("Ltd", "Limited", "LTD."), ("Inc.", "Incorporated", "Inc"), ("LLC", "L.L.C."), ("Corp.", "Corporation"), ("plc", "PLC")),
    "de": (("GmbH", "G.m.b.H.", "GMBH"), ("AG", "Aktiengesellschaft"), ("KG",), ("GmbH & Co. KG", "GmbH & Co KG"), ("OHG",)),
    "fr": (("SARL", "S.A.R.L."), ("SAS", "S.A.S."), ("SA", "S.A."), ("EURL",)),
    "it": (("S.r.l.", "SRL", "Srl"), ("S.p.A.", "SpA", "SPA")),
    "es": (("S.L.", "SL"), ("S.A.", "SA")), "pt": (("Ltda", "LTDA", "Ltda."), ("S.A.", "SA")),
    "nl": (("B.V.", "BV"), ("N.V.", "NV")), "sv": (("AB", "Aktiebolag"),), "da": (("ApS", "APS"), ("A/S", "AS")),
    "fi": (("Oy", "OY"), ("Oyj", "OYJ")), "cs": (("s.r.o.", "s. r. o."), ("a.s.", "a. s.")), "ro": (("SRL", "S.R.L."), ("SA", "S.A.")),
    "ru": (("ООО",),), "el": (("Α.Ε.",), ("Ε.Π.Ε.",)), "ar": (("LLC", "L.L.C."), ("Co. Ltd", "Company Limited")),
    "zh": (("有限公司",),), "ja": (("株式会社",),), "ko": (("주식회사",),),
}  # fmt: skip
LATIN_LEGAL = {"ru": ("OOO",), "el": ("AE",), "zh": ("Co., Ltd.",), "ja": ("K.K.",), "ko": ("Co., Ltd.",)}

FREE_MAIL = {
    "de": ("gmx.de", "web.de", "t-online.de"), "fr": ("orange.fr", "free.fr"), "it": ("libero.it",), "ru": ("mail.ru", "yandex.ru"),
    "zh": ("qq.com", "163.com"), "ko": ("naver.com",), "cs": ("seznam.cz",),
}  # fmt: skip
WORLD_MAIL = ("gmail.com", "gmail.com", "outlook.com", "yahoo.com", "hotmail.com", "icloud.com")
TOP_LEVEL = {
    "US": "com",
    "GB": "co.uk",
    "IE": "ie",
    "NZ": "co.nz",
    "IN": "in",
    "SA": "com.sa",
    "CN": "cn",
    "JP": "co.jp",
    "KR": "co.kr",
    "BR": "com.br",
}

ROLES = """Buyer|Head of Sales|Account Manager|Office Manager|Controller|Project Manager|Managing Director|CEO|CFO|Operations Lead|IT Manager|
Marketing Manager|Purchasing Manager|Warehouse Supervisor|HR Business Partner|Assistant|Owner|Site Manager|Technician|Consultant""".replace(
    "\n", ""
).split("|")

ARABIC_FIRST = {
    "محمد": "Mohammed Muhammad Mohamed", "أحمد": "Ahmed Ahmad", "عبدالله": "Abdullah Abdallah", "علي": "Ali Aly", "حسن": "Hassan Hasan",
    "حسين": "Hussein Husain", "خالد": "Khaled Khalid", "يوسف": "Yousef Yusuf", "إبراهيم": "Ibrahim Ebrahim", "عمر": "Omar Umar",
    "سعيد": "Saeed Said", "فيصل": "Faisal Faysal", "ناصر": "Nasser Naser", "سلمان": "Salman", "طارق": "Tariq Tarek", "ماجد": "Majed Majid",
    "فاطمة": "Fatima Fatma", "عائشة": "Aisha Ayesha", "مريم": "Mariam Maryam", "نورة": "Noura Nora", "سارة": "Sara Sarah", "ليلى": "Layla Leila",
    "هدى": "Huda Hoda", "ريم": "Reem Rim", "أمل": "Amal", "منى": "Mona Muna",
}  # fmt: skip
ARABIC_LAST = {
    "العتيبي": "Al-Otaibi Alotaibi", "القحطاني": "Al-Qahtani Alqahtani", "الغامدي": "Al-Ghamdi Alghamdi", "الحربي": "Al-Harbi Alharbi",
    "الشهري": "Al-Shehri Alshehri", "الدوسري": "Al-Dosari Aldosari", "المطيري": "Al-Mutairi Almutairi", "الزهراني": "Al-Zahrani Alzahrani",
    "السبيعي": "Al-Subaie Alsubaie", "العنزي": "Al-Anazi Alanazi", "الشمري": "Al-Shammari Alshammari", "منصور": "Mansour Mansur",
    "حداد": "Haddad", "خوري": "Khoury Khouri", "نجار": "Najjar", "صباغ": "Sabbagh", "حمدان": "Hamdan", "صالح": "Saleh Salih",
    "رحمن": "Rahman", "فارس": "Fares Faris", "مراد": "Murad Mourad", "قاسم": "Qasim Kassem", "عثمان": "Othman Osman", "سليمان": "Suleiman Sulaiman",
}  # fmt: skip
