print('no settings')
